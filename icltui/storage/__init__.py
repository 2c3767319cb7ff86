"""Files that outlive the program: sessions, settings, recent models, queries; every write is whole or not at all."""
