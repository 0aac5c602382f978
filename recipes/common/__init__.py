"""What the recipes share, from options and data to the run folder and its page."""
