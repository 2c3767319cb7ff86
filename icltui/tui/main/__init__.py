"""The explorer's screen: its layout, and the parts that handle files, runs, output and guidance."""
