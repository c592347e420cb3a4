c.title = "Nothing here"
