"""What text-message providers have in common: numbers, alphabets, long messages, receipts, files they come and get."""
