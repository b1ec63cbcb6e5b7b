"""The account: metrics of every interval and their summary."""
