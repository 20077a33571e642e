"""Read by every Python that has this folder on its path, so that it knows `bucket://`."""

import fsspec

fsspec.register_implementation("bucket", "bucket_store.BucketFileSystem")
