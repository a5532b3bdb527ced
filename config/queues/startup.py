"""Imported first, it makes a process of ours start sooner, and keep less: garbage is looked for seldom.

Loading litellm, Celery and SQLAlchemy makes hundreds of thousands of objects that stay. Looking through them again and
again meanwhile is a sixth of what loading takes.
"""

import gc

from firstline.config.queues.memory import give_back

gc.set_threshold(10_000, 20, 20)
give_back()
