"""What both commands are built on: settings, supervision, logs, body formats."""
