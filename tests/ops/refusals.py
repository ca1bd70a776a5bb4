"""What a function says to arguments that may be wrong."""


def result_or_refusal(function, *args, **kwargs):
    """The result and an empty text, or None and the message of the ValueError or TypeError."""
    try:
        return function(*args, **kwargs), ""
    except (ValueError, TypeError) as error:
        return None, str(error)
