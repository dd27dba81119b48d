"""The panels: each a live view of one thing, made of the parts and drawn by `render`.

They know which buttons there are and which method each calls. Open `monitor_panel`
first; `console_panel` puts the others together.
"""
