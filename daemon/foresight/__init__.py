"""What will be sent in the days ahead, for real cases: read, played by `policies.beforehand.foresight`, written out.

Nothing here sends, and nothing is written but the file that was asked for.
"""
