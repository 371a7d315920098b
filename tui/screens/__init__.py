"""The tabs and dialogs: which panels they have, and where these lie."""
