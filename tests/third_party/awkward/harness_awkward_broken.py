raise ImportError("this plugin is broken")
