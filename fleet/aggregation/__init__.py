"""Sums by period, and what statistics, rankings and leaderboards read of them."""
