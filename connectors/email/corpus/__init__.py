"""A run over a folder of mails with known answers: what is understood, what not, and how fast."""
