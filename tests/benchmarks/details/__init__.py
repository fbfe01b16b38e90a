"""Single parts beside what one would write first for them: ratios that explain a choice, no goals."""
