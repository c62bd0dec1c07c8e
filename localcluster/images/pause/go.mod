module localcluster/images/pause

go 1.26.0
