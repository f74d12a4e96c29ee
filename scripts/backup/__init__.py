"""Back up a stack or a cluster while it runs, and restore it elsewhere; docs/backup.md."""
