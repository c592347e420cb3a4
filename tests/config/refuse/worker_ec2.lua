local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

local function ec2(title, options, without)
  local all = { "EC2LatentWorker-" .. title, instance_type = "m5.large", ami = "ami-1", keypair_name = "ci", security_name = "ci" }
  for key, value in pairs(options) do all[key] = value end
  for _, key in ipairs(without or {}) do all[key] = nil end
  return all
end
local EC2 = worker.EC2LatentWorker

c.workers = {
  -- Kinds.
  EC2(ec2("instance_type", { instance_type = 5 })),
  EC2(ec2("ami", { ami = 5 })),
  EC2(ec2("valid_ami_owners", { valid_ami_owners = { true } }, { "ami" })),
  EC2(ec2("valid_ami_location_regex", { valid_ami_location_regex = 5 }, { "ami" })),
  EC2(ec2("elastic_ip", { elastic_ip = 5 })),
  EC2(ec2("identifier", { identifier = 5, secret_identifier = 5 })),
  EC2(ec2("aws_id_file_path", { aws_id_file_path = 5 })),
  EC2(ec2("user_data", { user_data = {} })),
  EC2(ec2("region", { region = 5 })),
  EC2(ec2("keypair_name", { keypair_name = 5 })),
  EC2(ec2("security_name", { security_name = 5 })),
  EC2(ec2("spot_instance", { spot_instance = "yes" })),
  EC2(ec2("max_spot_price", { spot_instance = true, max_spot_price = "cheap" })),
  EC2(ec2("price_multiplier", { spot_instance = true, price_multiplier = 0 })),
  EC2(ec2("volumes", { volumes = { "vol-1" } })),
  EC2(ec2("placement", { region = "us-west-2", placement = 5 })),
  EC2(ec2("tags", { tags = { project = 5 } })),
  EC2(ec2("product_description", { product_description = 5 })),
  EC2(ec2("subnet_id", { subnet_id = 5 }, { "security_name" })),
  EC2(ec2("security_group_ids", { security_group_ids = { 5 } })),
  EC2(ec2("instance_profile_name", { instance_profile_name = {} })),
  EC2(ec2("block_device_map", { block_device_map = { DeviceName = "/dev/sda1" } })),
  EC2(ec2("block_device_map-2", { block_device_map = { "/dev/sda1" } })),
  EC2(ec2("block_device_map-3", { block_device_map = { { "/dev/sda1" } } })),
  EC2(ec2("session", { session = "ci" })),
  -- Nothing of it is rendered.
  EC2(ec2("rendered", { ami = util.Property "ami" })),
  -- Nothing of it may be empty.
  EC2(ec2("empty", { ami = "", security_group_ids = { "" } })),
  -- What goes together.
  EC2(ec2("no_type", {}, { "instance_type" })),
  EC2(ec2("no_image", {}, { "ami" })),
  EC2(ec2("two_images", { valid_ami_owners = "self" })),
  EC2(ec2("nobody", { valid_ami_owners = {} }, { "ami" })),
  EC2(ec2("owner", { valid_ami_owners = { 1234567890123, "canonical" } }, { "ami" })),
  EC2(ec2("regex", { valid_ami_location_regex = "ubuntu/(" }, { "ami" })),
  EC2(ec2("look_around", { valid_ami_location_regex = "ubuntu(?=/)" }, { "ami" })),
  EC2(ec2("ip", { elastic_ip = "256.0.0.1" })),
  EC2(ec2("key_alone", { identifier = "AKIA" })),
  EC2(ec2("secret_alone", { secret_identifier = "hush" })),
  EC2(ec2("key_and_file", { identifier = "AKIA", secret_identifier = "hush", aws_id_file_path = "aws_id" })),
  EC2(ec2("no_keypair", {}, { "keypair_name" })),
  EC2(ec2("keypair_none", { keypair_name = None })),
  EC2(ec2("no_network", {}, { "security_name" })),
  EC2(ec2("two_networks", { subnet_id = "subnet-1" })),
  EC2(ec2("no_bid", { spot_instance = true, max_spot_price = None, price_multiplier = None })),
  EC2(ec2("region_zone", { region = "us-west-2b" })),
  EC2(ec2("region_words", { region = "Oregon" })),
  EC2(ec2("zone_alone", { placement = "b" })),
  EC2(ec2("zone_whole", { region = "us-west-2", placement = "us-west-2b" })),
  EC2(ec2("tags_own", { tags = { ["aws:x"] = "1", [""] = "2" } })),
  EC2(ec2("volume_empty", { volumes = { { "vol-1", "" } } })),
  EC2(ec2("volume_twice", { volumes = { { "vol-1", "/dev/sdf" }, { "vol-2", "/dev/sdf" } } })),
  -- A table with options of its own.
  EC2(ec2("session_kinds", { session = { profile_name = 5, aws_access_key_id = 5, aws_secret_access_key = 5, aws_session_token = 5, region_name = 5 } })),
  EC2(ec2("session_unknown", { session = { profile = "ci" } })),
  EC2(ec2("session_and_all", { identifier = "AKIA", secret_identifier = "hush", region = "us-west-2", session = {} })),
  EC2(ec2("session_half", { session = { aws_access_key_id = "AKIA", aws_session_token = "hush", region_name = "west" } })),
  EC2(ec2("session_two", { session = { aws_access_key_id = "AKIA", aws_secret_access_key = "hush", profile_name = "ci" } })),
  EC2(ec2("device_kinds", { block_device_map = { { DeviceName = 5, Ebs = 5, VirtualName = 5, NoDevice = "" } } })),
  EC2(ec2("device_nothing", { block_device_map = { { DeviceName = "/dev/sda1" } } })),
  EC2(ec2("device_both", { block_device_map = { { DeviceName = "/dev/sda1", Ebs = {}, NoDevice = true } } })),
  EC2(ec2("device_nameless", { block_device_map = { { Ebs = {} } } })),
  EC2(ec2("device_twice", { block_device_map = { { DeviceName = "/dev/sda1", Ebs = {} }, { DeviceName = "/dev/sda1", NoDevice = true } } })),
  EC2(ec2("device_volume", { volumes = { { "vol-1", "/dev/sda1" } }, block_device_map = { { DeviceName = "/dev/sda1", Ebs = {} } } })),
  EC2(ec2("ebs", { block_device_map = { { DeviceName = "/dev/sda1", Ebs = {
    DeleteOnTermination = 1, SnapshotId = 5, VolumeSize = 0, VolumeType = 5, Iops = 0, Throughput = "fast", Encrypted = "yes", KmsKeyId = 5,
  } } } })),
  EC2(ec2("ebs_unknown", { block_device_map = { { DeviceName = "/dev/sda1", Ebs = { Size = 5 } } } })),
}
