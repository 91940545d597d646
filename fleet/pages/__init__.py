"""What people look at: one module per page. Parts of a page come from the same template at first and later."""
