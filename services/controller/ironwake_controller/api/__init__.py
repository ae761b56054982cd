"""The routes: one file per noun. They check shapes and call what decides."""
