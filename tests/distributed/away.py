"""A storage that does not answer the first calls of some kind."""

import pyarrow.fs as pafs


class Away(pafs.FileSystemHandler):
    """Fails as a server does that is away, `failures` times in all, then does what the local folder does.

    Args:
        folder: of this machine.
        failures: number of calls that fail.
        operations: those that may fail; all when None.
    """

    def __init__(self, folder, failures, operations=None):
        self.filesystem = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
        self.failures, self.operations = failures, operations

    def _do(self, operation, *arguments, **options):
        if self.failures and (self.operations is None or operation in self.operations):
            self.failures -= 1
            raise OSError(f"AWS Error NETWORK_CONNECTION during {operation} operation")
        return getattr(self.filesystem, operation)(*arguments, **options)

    def get_type_name(self):
        return "away"

    def normalize_path(self, path):
        return path

    def get_file_info(self, paths):
        return self._do("get_file_info", paths)

    def get_file_info_selector(self, selector):
        return self._do("get_file_info", selector)

    def create_dir(self, path, recursive):
        self._do("create_dir", path, recursive=recursive)

    def delete_dir(self, path):
        self._do("delete_dir", path)

    def delete_dir_contents(self, path, missing_dir_ok):
        self._do("delete_dir_contents", path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self):
        raise NotImplementedError

    def delete_file(self, path):
        self._do("delete_file", path)

    def move(self, src, dest):
        self._do("move", src, dest)

    def copy_file(self, src, dest):
        self._do("copy_file", src, dest)

    def open_input_stream(self, path):
        return self._do("open_input_stream", path)

    def open_input_file(self, path):
        return self._do("open_input_file", path)

    def open_output_stream(self, path, metadata):
        return self._do("open_output_stream", path)

    def open_append_stream(self, path, metadata):
        raise NotImplementedError


def away(folder, failures=0, operations=None):
    """A file system of it."""
    return pafs.PyFileSystem(Away(folder, failures, operations))
