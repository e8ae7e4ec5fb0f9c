"""What the channels are made of: mail frames, SMTP conversations, HTTP exchanges. Imported when a channel opens."""
