# As little as a template can have; what it is made from, where and how it is reached come from outside.
variable "endpoint" {
  type = string
}
variable "image_id" {
  default = ""
}
variable "family" {
  default = ""
}
variable "subnet_id" {
  default = ""
}
variable "internal" {
  default = false
}
variable "ssh_timeout" {
  default = "15m"
}
variable "command" {
  default = "true"
}
variable "image_name" {
  default = ""
}

source "yandex" "plain" {
  endpoint            = var.endpoint
  source_image_id     = var.image_id
  source_image_family = var.family
  subnet_id           = var.subnet_id
  use_ipv4_nat        = !var.internal
  use_internal_ip     = var.internal
  ssh_username        = "debian"
  ssh_timeout         = var.ssh_timeout
  state_timeout       = "30m"
  instance_mem_gb     = 2
  disk_size_gb        = 10
  image_name          = var.image_name
  skip_create_image   = var.image_name == ""
}

build {
  sources = ["source.yandex.plain"]
  provisioner "shell" {
    inline = [var.command]
  }
}
