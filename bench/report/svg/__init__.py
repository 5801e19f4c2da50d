"""Figures drawn as inline SVG: text stays text, and colours are the page's CSS variables, so that one drawing serves
light and dark. Every drawing is as wide as a phone; wide screens put several side by side."""
