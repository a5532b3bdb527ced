"""Imported first, it makes a process of ours start sooner: until `serving` turns it on, no garbage is looked for.

Loading litellm, Celery and SQLAlchemy makes hundreds of thousands of objects that stay. Looking through them again and
again meanwhile is a quarter of what loading takes.
"""

import gc

gc.disable()
