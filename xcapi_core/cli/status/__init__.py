"""`xcapi status`: what somebody on call wants to see first."""
