c.workers = [
