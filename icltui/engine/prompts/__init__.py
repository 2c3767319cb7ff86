"""From text to token ids: the chat template, the tokenizer, the characters of each token."""
