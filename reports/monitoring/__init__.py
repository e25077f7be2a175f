"""What watches a network at work: numbers first, then one page; frames and arrays in, no store of trials."""
