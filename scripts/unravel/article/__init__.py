"""The pages: a run becomes one article, runs become a comparison and an index."""
