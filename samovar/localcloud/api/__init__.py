"""The API of the local cloud: gRPC, REST, image storage, and the pipeline through which every call goes."""
