"""Settings of all tests."""

from hypothesis import settings

# A busy machine makes any example slow; what must be fast is measured in benchmarks/.
settings.register_profile("palaver", deadline=None)
settings.load_profile("palaver")
