"""What the law says of each part of a limit: when it begins, stands still, is extended, ends, and comes again."""
