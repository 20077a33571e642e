"""The one exception that means: the user can fix this."""


class UserError(Exception):
    """A mistake in a flag, a file or a combination of them.

    The message is a single line: it names the flag or the file, says what was wrong, and what would
    be right. Entry points print that line alone and exit with code 2; nothing retries it.
    """
