"""python -m defusion.cli"""

from defusion.cli.main import main

main()
