"""Text made safe for wherever it goes: terminals, JSON, Markdown, spreadsheets; tables and units."""
