"""The command line in this process."""

from tests.cli.conftest import textwright as textwright
