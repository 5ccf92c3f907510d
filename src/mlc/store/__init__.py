"""The only place that speaks SQL: one SQLite file with journal, audit trail, links, held items and cursors."""
