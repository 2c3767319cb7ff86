"""The rows of a folder as they are browsed: columns, what is looked for, the order, the groups. Without Textual."""
