"""The planner's question: each option declared once, and the one way from texts to a search.

`options` declares them for the command line and the form alike, `parsers` reads a text each,
`question` makes a setting and constraints of all of them. Free of torch.
"""
