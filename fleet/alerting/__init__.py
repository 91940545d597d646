"""What went wrong and who must act: rules, the alerts they raise, silence, escalation."""
