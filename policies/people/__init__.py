"""Who is who: posts and the way up, substitutes, who held a case when and who answers for it."""
