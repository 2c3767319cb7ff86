"""The dialogs that open over the explorer's screen: each asks for one thing and returns the answer."""
