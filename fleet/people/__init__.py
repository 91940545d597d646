"""Who may come in: members, invitations, accounts, second factors, sessions."""
