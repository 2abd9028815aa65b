"""Who uses the panels: logins, sessions, roles."""
