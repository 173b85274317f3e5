"""Answers to requests: the contract between a task and a server, without HTTP."""
