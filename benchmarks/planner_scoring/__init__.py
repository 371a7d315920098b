"""Published training runs, from free notes to predictions beside what was measured.

Development, not product: `planner_score.py` prints the scores, `planner_fit.py` fits to them.
"""
