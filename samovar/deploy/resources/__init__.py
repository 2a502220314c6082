"""The kinds of resources as the API has them: each module turns specs into requests and messages into specs."""
