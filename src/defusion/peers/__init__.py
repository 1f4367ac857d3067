"""Restoration networks beside ours: published ones and a plain one, trained alike, without instruction."""
