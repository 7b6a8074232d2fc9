"""What `python -m stages.annotations` runs."""

from stages.annotations import main

main()
