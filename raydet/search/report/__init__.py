"""What a sweep tells while it runs and when it is over: tables, pictures, a page, and the best config."""
