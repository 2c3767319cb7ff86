"""What ordinary inputs are: second moments of z and g over a background text, and the metric that they make."""
