"""Any JSON, form or CloudEvents request as a message."""
